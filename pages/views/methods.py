"""Methods: every method and sampler with formula, parameters, source and worked examples; searchable."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from core.methods import METHODS, TRAIN, Method, formula_with
from core.methods.samplers import SAMPLERS
from core.metrics.scalar import MEASURES
from core.registry import Param, Registry, Source
from pages.components.common import navigation, query_params
from pages.components.common.prefill import PREFILL, Prefill
from reporting import text
from reporting.method_examples import Example, examples
from reporting.notation import NOTATION, ONE_LOSS, RULES, TERMS
from reporting.text import plain

Entry = tuple[str, Method, Registry[Method]]  # key in the URL, row, its table
ALL = "All"
SHOWN = "methods_shown"  # for the browser's Back, which restores the page without its URL parameters
COMMON = "Common to all methods"


def entries() -> list[Entry]:
    """The entries of the Methods page: every method and sampler."""
    return [(m.key, m, METHODS) for m in METHODS] + [(f"sampler:{s.key}", s, SAMPLERS) for s in SAMPLERS]


def searched_text(method: Method) -> str:
    """The text of an entry that a search on the Methods page matches, in lower case."""
    params = " ".join(f"{p.key} {p.label}" for p in method.params)
    return " ".join(
        (method.key, method.label, method.group, method.summary, method.when, method.caveat, str(method.source), params)
    ).lower()


def found_entries(words: str, group: str) -> list[Entry]:
    """The entries of a group that contain every word searched for on the Methods page, in table order."""
    wanted = words.lower().split()
    return [r for r in entries() if group in (ALL, r[1].group) and all(w in searched_text(r[1]) for w in wanted)]


def needs_of(method: Method) -> str:
    """What a method needs, as the Methods page says it."""
    return "; ".join(text.NEEDS[n] for n in sorted(method.needs)) or "nothing"


def choose_entry(shown: list[Entry]) -> Entry:
    """The entry to show on the Methods page: selected here, requested by the URL, or shown last."""
    labels = {key: f"{m.label}  ·  {m.group}" for key, m, _ in shown}
    first = entries()[0][0]
    if (asked := query_params.asked("row", first)) in labels:
        st.session_state["methods_chosen"] = asked
    elif asked is not None and all(asked != key for key, _, _ in entries()):  # unknown, not only hidden by the search
        query_params.not_available("method", asked)
    if st.session_state.get("methods_chosen") not in labels:
        last = st.session_state.get(SHOWN)
        st.session_state["methods_chosen"] = last if last in labels else next(iter(labels))
    chosen = st.selectbox("Method", list(labels), format_func=labels.get, key="methods_chosen")
    st.session_state[SHOWN] = chosen
    query_params.keep("row", chosen, default=first, widget="methods_chosen")  # "method" belongs to New run
    query_params.write()
    return next(r for r in shown if r[0] == chosen)


def parameter_table(params: tuple[Param, ...]) -> None:
    """The Methods page's table of a method's parameters: default, range and meaning."""
    st.table(
        pd.DataFrame(
            [
                {
                    "parameter": f"`{p.key}`",
                    "default": f"{p.default:g}" if isinstance(p.default, (int, float)) else f"`{p.default}`",
                    "allowed": breakable(plain(p.expected)),
                    "what it does": breakable(plain(p.help)),
                }
                for p in params
            ]
        ).set_index("parameter")
    )


def breakable(text: str) -> str:
    """Allow line breaks after underscores (imagenet_code), so that a table of the Methods page fits a phone."""
    return text.replace("_", "_\u200b")


def reference(source: Source) -> str:
    """A method's source as the Methods page cites it."""
    title = f"[{plain(source.title)}]({source.url})" if source.url else plain(source.title)
    return f"{plain(source.authors)} ({source.year}), {title}"


def worked_examples(method: Method, table: Registry[Method]) -> None:
    """The worked examples on the Methods page: rows, what follows from them, what was clipped or assumed, and the
    command that prints them."""
    found = examples(method, table)
    if not found:
        return
    st.subheader("Worked example" if len(found) == 1 else "Worked examples")
    for shown in found:
        one_example(shown)
    st.markdown(f":small[Notes say what was clipped or assumed; the rules are under *{COMMON}* below.]")


def one_example(shown: Example) -> None:
    """One worked example on the Methods page."""
    if shown.intro:
        st.markdown(shown.intro)
    if shown.rows:
        (head, given), *rest = shown.rows
        columns = {breakable(label): values for label, values in rest}
        frame = pd.DataFrame(columns, index=[f"{shown.of} {c}: {v}" for c, v in enumerate(given)])
        turned = len(columns) > len(frame)  # few columns fit a phone
        st.caption(f"{'Columns' if turned else 'Rows'}: the {shown.of} and its {head}.")
        st.table(frame.T if turned else frame)
    for sentence in shown.sentences:
        st.markdown(sentence)
    if shown.command:
        st.code(shown.command, language=None, wrap_lines=True)  # syntax highlighting has too little contrast here


def draw_entry(method: Method, table: Registry[Method]) -> None:
    """One entry of the Methods page in full."""
    st.header(method.label)
    st.markdown(
        f":small[`{method.key}` · {method.group} · needs {needs_of(method)}]"
    )  # no caption: its code has too little contrast
    st.markdown(plain(method.summary))
    st.markdown(wrapping_formula(formula_with(method)), text_alignment="center")
    if method.when:
        st.markdown(f"**When.** {plain(method.when)}")
    if method.stage != TRAIN:
        st.markdown(f"**How.** {text.STAGES[method.stage]}")
    if method.epochs is not None:
        st.markdown(f"**Epochs.** {method.epochs} by default, whatever the recipe.")
    if method.caveat:
        st.markdown(f"**Caveat.** {plain(method.caveat)}")
    st.markdown(f"**Source.** {reference(method.source)}")
    if method.params:
        st.subheader("Parameters")
        parameter_table(method.params)
    worked_examples(method, table)
    if table is METHODS and st.button(
        "Use in a new run", key="methods_use", icon=":material/add_circle:", type="primary"
    ):
        st.session_state[PREFILL] = Prefill(method=method.key)
        navigation.open_new(method=method.key)


def wrapping_formula(formula: str) -> str:
    """A formula of the Methods page as Markdown that wraps between its parts. st.latex would scroll in a box that the
    keyboard cannot reach."""
    return " \u2003".join(
        rf"$\displaystyle {part}$" for part in formula.replace(r",\quad", r",\quad@").split(r"\quad@")
    )


def overview(shown: list[Entry]) -> None:
    """The Methods page's table of all search results."""
    with st.expander(f"Overview: {len(shown)} of {len(entries())}", icon=":material/list:"):
        st.dataframe(
            pd.DataFrame(
                [
                    {
                        "Method": m.label,
                        "Group": m.group,
                        "Needs": needs_of(m),
                        "In short": m.summary,
                        "Source": str(m.source),
                    }
                    for _, m, _ in shown
                ]
            ),
            hide_index=True,
            width="stretch",
        )


def common_to_all() -> None:
    """The folded section of the Methods page on notation, the one loss and the rules of all methods."""
    with st.expander(COMMON, icon=":material/rule:"):
        st.markdown(f"**Notation.** {NOTATION}")
        st.markdown(f"**Loss.** Every method acts through {wrapping_formula(ONE_LOSS)} {TERMS}")
        for name, text in RULES.items():
            st.markdown(f"**{name}.** {text}")


def explain_measures() -> None:
    """The folded section of the Methods page on the measures."""
    with st.expander("Measures", icon=":material/straighten:"):
        for m in MEASURES:
            st.markdown(rf"**{m.label}.** {plain(m.summary)} $\displaystyle {m.formula}$")


st.title("Methods")
st.markdown("All class-balancing methods: what each computes, what it needs and where it comes from.")
left, right = st.columns([2, 3])
with left:
    words = st.text_input(
        "Search",
        key="methods_words",
        persist_state="session",
        placeholder="logits, counts, Cui, margin",
        icon=":material/search:",
    )
with right:
    groups = list(dict.fromkeys(m.group for _, m, _ in entries()))
    group = st.selectbox("Group", [ALL, *groups], key="methods_group", persist_state="session")
shown = found_entries(words, group)
if not shown:
    st.info("No method contains all of these words. Remove one, or choose another group.", icon=":material/search_off:")
else:
    _, method, table = choose_entry(shown)
    draw_entry(method, table)
    overview(shown)
common_to_all()
explain_measures()
