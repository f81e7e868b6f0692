"""Prompts with holes."""

import pytest
from devteam_planner import templates
from devteam_planner.templates import Flaw
from hypothesis import given
from hypothesis import strategies as st


def flaws(text: str) -> list[Flaw]:
    """Judged in a plan of steps a, b and c, of which a and b lie upstream, with the inputs topic and x-1."""
    return list(templates.flaws(text, steps={"a", "b", "c"}, ancestors={"a", "b"}, inputs={"topic", "x-1"}))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("On {{input.topic}}.", "On tea."),
        ("{{ input.topic }}{{a.output}}", "teaOUT"),
        ("{{a.output}}\n{{a.output}}", "OUT\nOUT"),
        (r"\{{input.topic}}", "{{input.topic}}"),
        (r'{"a": {"b": 1}} \{{ x }} {{a.output}}', '{"a": {"b": 1}} {{ x }} OUT'),
        ("{% if x %} {# note #} ${a} }}", "{% if x %} {# note #} ${a} }}"),
    ],
)
def test_holes_are_filled_and_nothing_else_is_touched(text: str, expected: str) -> None:
    assert flaws(text) == []
    assert templates.render(text, {"topic": "tea"}, {"a": "OUT"}) == expected


def test_a_text_needs_each_step_it_names_once() -> None:
    text = r"{{b.output}} {{input.topic}} {{a.output}} {{b.output}} \{{c.output}} {{d.state}}"
    assert templates.references(text) == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{{", "line 1, column 1: {{ is never closed"),
        ("ab\nc {{a.output", "line 2, column 3: {{ is never closed"),
        ("{{ {{a.output}} }}", "line 1, column 1: {{ stands inside another {{"),
        ("{{a.state}}", "line 1, column 1: only {{input.NAME}} and {{STEP.output}} are understood"),
        ("x{{steps.a.output}}", "line 1, column 2: only {{input.NAME}} and {{STEP.output}} are understood"),
        ("{{ a.__class__ }}", "line 1, column 1: only {{input.NAME}} and {{STEP.output}} are understood"),
        ("{{a.output|upper}}", "line 1, column 1: only {{input.NAME}} and {{STEP.output}} are understood"),
        ("{{}}", "line 1, column 1: only {{input.NAME}} and {{STEP.output}} are understood"),
        ("{{{input.topic}}}", "line 1, column 1: only {{input.NAME}} and {{STEP.output}} are understood"),
    ],
)
def test_a_mistake_of_syntax_is_told_with_its_place(text: str, where: str) -> None:
    (flaw,) = flaws(text)
    assert (flaw.reason, flaw.message) == ("TEMPLATE_SYNTAX", where + r"; write \{{ for two literal braces")


def test_every_name_that_cannot_be_had_is_told_once() -> None:
    text = "{{input.nope}} {{d.output}} {{c.output}} {{d.output}} {{a.output}} {{input.nope}} {{"
    assert [(flaw.reason, flaw.name) for flaw in flaws(text)] == [
        ("TEMPLATE_SYNTAX", ""),
        ("TEMPLATE_UNKNOWN_INPUT", "nope"),
        ("TEMPLATE_UNKNOWN_STEP", "d"),
        ("TEMPLATE_NOT_ANCESTOR", "c"),
    ]


braces = st.text(alphabet="{}\\ ab.outpinc", max_size=40)


@given(before=braces.filter(lambda t: "{" not in t and "\\" not in t), output=braces, after=st.text(alphabet="} ab"))
def test_what_is_put_in_is_never_read_again(before: str, output: str, after: str) -> None:
    """Whatever a model says, it comes out as it went in."""
    outputs = {"a": output, "b": "second expansion"}
    assert templates.render(f"{before}{{{{a.output}}}}{after}", {}, outputs) == before + output + after


@given(st.lists(st.sampled_from(["{{", "}}", "{", "\\", "a", "input", ".output", ".topic", " ", "\n"]), max_size=20))
def test_a_text_without_flaws_can_be_rendered(parts: list[str]) -> None:
    """And one that cannot be rendered has a flaw."""
    text = "".join(parts)
    if not flaws(text):
        templates.render(text, {"topic": "", "x-1": ""}, {"a": "", "b": ""})


@given(st.text())
def test_any_text_can_be_written_as_a_template(text: str) -> None:
    """By a backslash before each pair of braces; a backslash before braces cannot be kept, a space parts them."""
    literal = text.replace("\\{", "\\ {").replace("{{{", "{{ {")
    template = literal.replace("{{", r"\{{")
    assert flaws(template) == []
    assert templates.render(template, {}, {}) == literal
