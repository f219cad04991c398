"""Texts that try to run a script, or to have a browser ask another host, wherever they are put."""

from tests.chat.hostile import HOSTILE_TEXTS

CANARY = "https://canary.example"

_EVENTS = (
    *("<audio src=x onerror={js}>", "<video src=x onerror={js}>", "<body onload={js}>"),
    *("<input autofocus onfocus={js}>", "<select autofocus onfocus={js}><option>x</select>"),
    *("<textarea autofocus onfocus={js}></textarea>", "<marquee onstart={js}>x</marquee>"),
    *("<svg><animate onbegin={js} attributeName=x dur=1s>", "<svg><set onbegin={js}>"),
    *("<svg/onload={js}//", "<img src onerror={js}>", "<img src=`x`onerror={js}>"),
    *("<img\tsrc=x\nonerror={js}>", "<img src=x:x onerror\n=\n{js}>", "<IMG SRC=x ONERROR={js}>"),
    *("<object data=x onerror={js}></object>", "<link rel=stylesheet href=x onerror={js}>"),
    *("<style onload={js}></style>", "<script src=x onerror={js}></script>"),
    *("<iframe onload={js}></iframe>", "<dialog open onanimationstart={js}>x</dialog>"),
    *("<div contenteditable autofocus onfocus={js}>x</div>", "<x onclick={js} tabindex=1>x</x>"),
    *("<p onmouseover={js}>x</p>", "<a href=# onpointerenter={js}>x</a>"),
    *(
        "<meter onmouseover={js}>0</meter>",
        "<button onpointerover={js}>x</button>",
    ),
    *("<div id=x popover onbeforetoggle={js}>x</div>", "<img srcset=x onerror={js}>"),
    *("<picture><source srcset=x><img onerror={js}></picture>",),
)
_LOADS = (
    *("<img src={to}>", "<img srcset='{to} 2x'>", "<video poster={to}></video>"),
    *("<audio src={to} autoplay></audio>", "<video src={to} autoplay></video>"),
    *("<iframe src={to}></iframe>", "<embed src={to}>", "<object data={to}></object>"),
    *("<link rel=preload as=image href={to}>", "<link rel=prefetch href={to}>"),
    *("<link rel=icon href={to}>", "<link rel=dns-prefetch href={to}>"),
    *("<script src={to}></script>", "<script type=module src={to}></script>"),
    *("<style>body{{background:url({to})}}</style>", "<p style='background:url({to})'>x</p>"),
    *("<body background={to}>", "<table background={to}><td background={to}>x</table>"),
    *("<input type=image src={to}>", "<svg><image href={to} /></svg>"),
    *("<svg><use href='{to}#x' /></svg>", "<svg><feImage href={to} /></svg>"),
    *("<meta http-equiv=refresh content='0;url={to}'>", "<base href={to}><img src=x>"),
    *("<form action={to}><button autofocus>x</button></form>", "<track src={to}>"),
    *("<a href={to} ping={to} autofocus>x</a>", "<img src=//canary.example/x>"),
    *("<link rel=manifest href={to}>", "<portal src={to}></portal>"),
    *("![x]({to})", "![x](<{to}>)", "![][x]\n\n[x]: {to}", "[![x]({to})](x)", "<{to}>"),
    *("@import '{to}';", "url({to})", "<?xml-stylesheet href='{to}'?>", "![x]({to} 'x' =1x1)"),
)
_OTHERS = (
    "{{constructor.constructor('alert(1)')()}}",
    "${alert(1)}",
    "<%= alert(1) %>",
    "javascript:alert(1)",
    "jav&#x0A;ascript:alert(1)",
    "<a href='jav&Tab;ascript:alert(1)'>x</a>",
    "<svg><script>alert&#40;1&#41;</script>",
    "<div hx-get='https://canary.example/' hx-trigger=load></div>",
    "<div data-hx-get='https://canary.example/' data-hx-trigger='load'></div>",
    "<div hx-on::load='alert(1)' hx-get='/chat/' hx-trigger='load'>x</div>",
    "<div data-stream='https://canary.example/'></div>",
    "<automate-chat><template shadowrootmode=open><script>alert(1)</script></template>",
    "<template shadowrootmode=open><img src=x onerror=alert(1)></template>",
    "]]><script>alert(1)</script><![CDATA[",
    "--><script>alert(1)</script><!--",
    "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e",
    "\u2028<script>alert(1)</script>\u2029",
    "＜script＞alert(1)＜/script＞",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<noscript><style></noscript><img src=x onerror=alert(1)></style>",
    "<math><mi><table><mglyph><style><!--</style><img title='--><img src=x onerror=alert(1)>'>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "</pre></details></article><script>alert(1)</script>",
    "</script></style></template></noscript><img src=x onerror=alert(1)>",
    '\r\nevent: message\r\ndata: {"html": "<img src=x onerror=alert(1)>"}\r\n\r\n',
)


def payloads() -> list[str]:
    """Each once, without the one character that no row can hold."""
    made = [
        *HOSTILE_TEXTS,
        *(each.format(js="alert(1)") for each in _EVENTS),
        *(each.format(to=f"{CANARY}/{number}") for number, each in enumerate(_LOADS)),
        *_OTHERS,
    ]
    return list(dict.fromkeys(text.replace("\x00", "") for text in made))
