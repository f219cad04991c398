"""Markdown that a model wrote, as HTML that a page may show.

Nothing in it is trusted. The parser knows no raw HTML, the sanitiser lets only listed elements,
attributes and classes through, no image is ever loaded, and a link shows where it leads. What is
longer than the limits, or takes the highlighter too long, is shown as plain text.
"""

import re
import time
from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from functools import lru_cache
from itertools import takewhile
from typing import Any
from urllib.parse import urlsplit

import nh3
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from pygments import format as format_tokens
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES, _TokenType

MAX_MARKDOWN_CHARACTERS = 60_000
MAX_BLOCK_CHARACTERS = 20_000
MAX_TOKENS = 20_000
MAX_KEPT_CHARACTERS = 10_000
MAX_HIGHLIGHTED_CHARACTERS = 10_000
MAX_HIGHLIGHTING_SECONDS = 0.1

LANGUAGES = {
    **{name: name for name in ("bash", "c", "cpp", "css", "diff", "django", "go", "graphql")},
    **{name: name for name in ("html", "http", "java", "javascript", "json", "jsx")},
    **{name: name for name in ("kotlin", "lua", "markdown", "php", "python", "r", "ruby", "rust")},
    **{name: name for name in ("scala", "scss", "sql", "swift", "toml", "tsx", "typescript")},
    **{name: name for name in ("xml", "yaml")},
    "c++": "cpp",
    "console": "bash",
    "js": "javascript",
    "md": "markdown",
    "py": "python",
    "python3": "python",
    "rb": "ruby",
    "rs": "rust",
    "sh": "bash",
    "shell": "bash",
    "ts": "typescript",
    "yml": "yaml",
    "zsh": "bash",
}
"""Languages that are highlighted, by the word after the fence; the lexer for each."""

_TERMINAL_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,4096}(?:\x07|\x1b\\)|.)"
)
_LINE_ENDS = re.compile("\r\n|\r|\n")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff]")
_ALIGNMENTS = {f"text-align:{side}": f"align-{side}" for side in ("left", "center", "right")}
_FORMATTER: HtmlFormatter[str] = HtmlFormatter(nowrap=True)

_MANY_COLUMNS = {4: "columns-4", 6: "columns-6"}
_SIDED = {"blockquote_open", "bullet_list_open", "ordered_list_open", "table_open"}
_CLASSES = {
    "div": {"code-block", "table-scroll", *_MANY_COLUMNS.values(), "plain"},
    "span": {"code-language", "link-host", *filter(None, STANDARD_TYPES.values())},
    "th": set(_ALIGNMENTS.values()),
    "td": set(_ALIGNMENTS.values()),
}
_ATTRIBUTES = {
    "a": {"href"},
    "blockquote": {"dir"},
    "ol": {"dir", "start"},
    "pre": {"tabindex"},
    "div": {"tabindex"},
    "table": {"dir"},
    "ul": {"dir"},
}
_TAGS = {
    *("a", "blockquote", "br", "code", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr"),
    *("li", "ol", "p", "pre", "s", "span", "strong", "table", "tbody", "td", "th", "thead"),
    *("tr", "ul"),
}
_SANITISER = nh3.Cleaner(
    tags=_TAGS,
    attributes=_ATTRIBUTES,
    allowed_classes=_CLASSES,
    url_schemes={"http", "https"},
    link_rel="noopener noreferrer nofollow",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)


def visible_text(text: str) -> str:
    """The text without terminal escapes, control characters and direction overrides."""
    text = text.replace("\r\n", "\n")
    return _INVISIBLE.sub("", _TERMINAL_ESCAPES.sub("", text))


def render_markdown(text: str) -> SafeString:
    """Whole Markdown as safe HTML."""
    text = visible_text(text)
    try:
        return _rendered(text)
    except _TooMuch:
        return _plain(text)


def render_stored_markdown(text: str) -> SafeString:
    """The same for a message that does not change; what is shown often is kept ready."""
    return _kept(text) if len(text) <= MAX_KEPT_CHARACTERS else render_markdown(text)


def settled_length(text: str) -> int:
    """How many characters at the start form blocks that more text can no longer change.

    The last block of a growing text may always change: a line below makes a paragraph a table.
    """
    if "\n" not in text:
        return 0
    blocks = [token for token in _BLOCKS.parse(text) if token.level == 0 and token.map]
    if len(blocks) < 2:
        return 0
    last = blocks[-1]
    if last.nesting == -1 or last.map is None:
        return 0
    line_ends = [end.end() for end in _LINE_ENDS.finditer(text)]
    return line_ends[last.map[0] - 1]


@lru_cache(maxsize=512)
def _kept(text: str) -> SafeString:
    return render_markdown(text)


class _TooMuch(Exception):
    """Markdown that would take long to show, and to look at."""


def _refuse_too_much(state: StateCore) -> None:
    """Look at the blocks, before anything is made of the lines in them."""
    if len(state.tokens) > MAX_TOKENS or any(
        block.type == "inline" and len(block.content) > MAX_BLOCK_CHARACTERS
        for block in state.tokens
    ):
        raise _TooMuch


def _rendered(text: str) -> SafeString:
    if len(text) > MAX_MARKDOWN_CHARACTERS:
        raise _TooMuch
    clean = _SANITISER.clean(_MARKDOWN.render(text))
    return mark_safe(clean)  # noqa: S308 # the sanitiser's own output


def _plain(text: str) -> SafeString:
    return mark_safe(f'<div class="plain">{escape(text)}</div>')  # noqa: S308 # escaped


def _is_web_address(address: str) -> bool:
    """Whether a link may lead there: http(s), a host, and no user name that could pose as one."""
    try:
        parts = urlsplit(address)
        return (
            parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
        )
    except ValueError:
        return False


def _show_addresses(state: StateCore) -> None:
    """Turn images into links, and add its host to every link whose text does not show it."""
    for block in state.tokens:
        if block.type == "inline" and block.children:
            block.children = _with_addresses(block.children)
        elif block.type in ("th_open", "td_open"):
            style = str(block.attrs.pop("style", ""))
            if style in _ALIGNMENTS:
                block.attrSet("class", _ALIGNMENTS[style])


def _let_words_say_direction(state: StateCore) -> None:
    """Let numbers, bars and columns stand on the side where their own words begin."""
    for block in state.tokens:
        if block.level == 0 and block.type in _SIDED:
            block.attrSet("dir", "auto")


def _with_addresses(tokens: Sequence[Token]) -> list[Token]:
    shown: list[Token] = []
    address = text = ""
    for token in tokens:
        if token.type == "image":
            label = token.content or str(token.attrs.get("src", ""))
            text += label
            shown.extend([_text(label)] if address else _image_link(token, label))
            continue
        shown.append(token)
        if token.type == "link_open":
            address, text = str(token.attrs.get("href", "")), ""
            token.attrs = {"href": address}
        elif token.type == "link_close":
            if text.strip() != address:
                shown.append(_host(address))
            address = ""
        else:
            text += token.content
    return shown


def _image_link(image: Token, label: str) -> list[Token]:
    address = str(image.attrs.get("src", ""))
    if not _is_web_address(address):
        return [_text(label)]
    opening = Token("link_open", "a", 1, attrs={"href": address})
    return [opening, _text(label), Token("link_close", "a", -1), _host(address)]


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)


def _host(address: str) -> Token:
    return Token("link_host", "", 0, content=urlsplit(address).hostname or "")


class _Renderer(RendererHTML):
    """Writes code blocks, tables and the hosts of links in our own form."""

    def fence(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        word = (tokens[idx].info.split() or [""])[0].lower()
        return _code_block(tokens[idx].content, LANGUAGES.get(word, ""))

    def code_block(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return _code_block(tokens[idx].content, "")

    def table_open(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        kinds = (tokens[place].type for place in range(idx, len(tokens)))
        columns = sum(kind == "th_open" for kind in takewhile("thead_close".__ne__, kinds))
        # For the style sheet: with `:has()` a browser goes through all cells for each new row.
        many = "".join(f" {name}" for least, name in _MANY_COLUMNS.items() if columns >= least)
        attributes = self.renderAttrs(tokens[idx])
        return f'<div class="table-scroll{many}" tabindex="0"><table{attributes}>'

    def table_close(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return "</table></div>"

    def link_host(
        self, tokens: Sequence[Token], idx: int, options: OptionsDict, env: MutableMapping[str, Any]
    ) -> str:
        return f' <span class="link-host">({escape(tokens[idx].content)})</span>'


def _code_block(code: str, language: str) -> str:
    label = f'<span class="code-language">{language}</span>' if language else ""
    inner = _highlighted(code, language) if language else escape(code)
    return f'<div class="code-block">{label}<pre tabindex="0"><code>{inner}</code></pre></div>'


class _TookTooLong(Exception):
    """The highlighter was still at work after its time."""


def _highlighted(code: str, language: str) -> str:
    if len(code) > MAX_HIGHLIGHTED_CHARACTERS:
        return escape(code)
    tokens = get_lexer_by_name(language, stripnl=False).get_tokens(code)
    try:
        return format_tokens(_in_time(tokens), _FORMATTER)
    except _TookTooLong:
        return escape(code)


def _in_time(tokens: Iterable[tuple[_TokenType, str]]) -> Iterator[tuple[_TokenType, str]]:
    deadline = time.monotonic() + MAX_HIGHLIGHTING_SECONDS
    for token in tokens:
        if time.monotonic() > deadline:
            raise _TookTooLong
        yield token


class _Parser(MarkdownIt):
    """CommonMark with tables, without HTML, whose links lead to the web and nowhere else."""

    def validateLink(self, url: str) -> bool:
        return _is_web_address(url)


def _parser() -> MarkdownIt:
    parser = _Parser("commonmark", {"html": False, "maxNesting": 20}, renderer_cls=_Renderer)
    parser.enable(["table", "strikethrough"])
    parser.core.ruler.after("block", "refuse_too_much", _refuse_too_much)
    parser.core.ruler.push("show_addresses", _show_addresses)
    parser.core.ruler.push("directions", _let_words_say_direction)
    return parser


def _block_parser() -> MarkdownIt:
    return _parser().disable(["refuse_too_much", "inline", "show_addresses", "directions"])


_MARKDOWN = _parser()
_BLOCKS = _block_parser()
