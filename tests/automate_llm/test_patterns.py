"""ECMA-262 patterns mean what they mean in ECMA-262."""

import pytest

from automate_llm.exceptions import SchemaError
from automate_llm.patterns import Clock, TooLong, compile_pattern, matches


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"^\d+$", "12", True),
        (r"^\d+$", "12\n", False),
        (r"^\d+$", "١٢", False),
        (r"^\w$", "é", False),
        (r"^\W$", "é", True),
        (r"^\p{L}\P{L}$", "é1", True),
        (r"^\p{Script=Greek}+$", "αβ", True),
        (r"^[\p{Lu}_]+$", "É_", True),
        (r"\S", "\ufeff\u2003\xa0", False),
        (r"^[^\S\n]+$", " \t\u3000", True),
        (r"^[\D\s]$", "5", False),
        (r"^.$", "\u2028", False),
        (r"^.$", "😀", True),
        (r"a\/b\-c\@", "a/b-c@", True),
        (r"^(?<y>\d{4})-\k<y>$", "2024-2024", True),
        (r"^(a)(b)\2\1$", "abba", True),
        (r"^(a)\1$", "aa", True),
        (r"(?<!x)y(?=z)(?!zz)", "yz", True),
        (r"\bfoo\b", "a foo b", True),
        (r"\Boo", "foo", True),
        (r"^[]$", "", False),
        (r"^[^]$", "\n", True),
        (r"a{,3}", "a{,3}", True),
        (r"x{", "x{", True),
        (r"^a{2}b{1,}c{0,1}$", "aabb", True),
        (r"^a{2,99999999999}$", "aaa", True),
        (r"^a+?$", "aaa", True),
        (r"^\u{1f600}\x41\u00e9$", "😀Aé", True),
        (r"^\ud83d\ude00$", "😀", True),
        (r"^[\ud83d\ude00-\ud83d\ude02]$", "😁", True),
        (r"^\cA\0\t$", "\x01\0\t", True),
        (r"[\b]", "\b", True),
        (r"^[\w-]+$", "a-b", True),
        (r"^[+-]?[a\]^-]$", "-]", True),
        (r"[[:alpha:]]", "a]", True),
        (r"^[a&&b|~]+$", "&|~", True),
        (r"^\s* #x$", " #x", True),
        (r"]}", "]}", True),
        (r"(?i)^straße$", "STRAßE", True),
        (r"^(?i:a)b$", "Ab", True),
        (r"\Aab\Z", "ab", True),
        (r"\Aab\z", "ab\n", False),
        (r"^(?P<a>x)\k<a>$", "xx", True),
        (r"", "anything", True),
    ],
)
def test_a_pattern_matches_as_its_author_meant(pattern, text, expected):
    assert matches(pattern, text, Clock(1)) is expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        ")",
        "a)",
        "[a",
        "[z-a]",
        "*a",
        "a**",
        "a++",
        "a{1}{2}",
        "^*",
        "(|*)",
        "(*FAIL)",
        "a{2,1}",
        "(?R)",
        "(?1)",
        "(?>a)",
        "(?&n)",
        "(?#x)",
        "(?(1)a|b)",
        "(?x)a b",
        "(?P=a)",
        "(?<1>a)",
        r"\1",
        r"\k<a>",
        r"\g<1>",
        r"\p{Nope}",
        r"\X",
        r"\K",
        r"\G",
        r"\L<a>",
        r"\N{DIGIT ONE}",
        "\\",
        "a" * 4_001,
        "[a-z]{2001}",
        "(?:.{50}){50}",
        "(" * 1_000 + ")" * 1_000,
    ],
)
def test_what_is_no_pattern_or_costs_too_much_is_refused(pattern):
    with pytest.raises(SchemaError):
        compile_pattern(pattern)


def test_a_text_beyond_the_limit_is_not_tried():
    with pytest.raises(TooLong):
        matches("a", "a" * 200_001, Clock(1))
