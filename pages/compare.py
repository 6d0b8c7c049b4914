"""Two runs over the same cases: what was fixed, what was broken, what stays wrong."""

import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.comparing import (
    CHANGES,
    RELIANCE,
    changed_cards,
    comparison,
    group_table,
    lowest,
)
from auditor.dashboard.components import gallery
from auditor.dashboard.words import number, plain, share
from auditor.errors import AuditorError
from auditor.findings import changed_data

A_PAGE = 12

opened = state.opened()
others = [name for name in state.names() if name != opened.run.path.name]
st.title("Compare")
if not others:
    state.address({})
    st.info(
        "Comparing takes two finished runs over the same cases. Audit another classifier on this "
        "dataset, and it appears here."
    )
    st.stop()
asked = st.query_params.get("with", "")
second = asked if asked in others else others[0]
state.address({"with": second})


def change() -> None:
    """Say the other run in the address."""
    st.query_params["with"] = st.session_state["compare_with"]


st.session_state["compare_with"] = second
left, right = st.columns(2)
left.text_input("A", opened.run.path.name, disabled=True, help="Chosen in the sidebar.")
right.selectbox("B", others, key="compare_with", on_change=change)
try:
    b = state.served().library.open(second)
    with st.spinner("Pairing the cases …", show_time=True):
        found = comparison(opened.run, b.run)
except AuditorError as error:
    st.error(plain(error))
    st.stop()

differ = changed_data(opened.run, b.run)
if differ is not None:
    place = st.empty()
    if not st.toggle("Compare all the same", key=f"changed_{second}"):
        place.warning(
            f"The datasets of the two runs are not the same ({plain(differ)}): what is fixed or "
            "broken may be a changed image or annotation."
        )
        st.stop()

paired = found.accuracy
columns = st.columns(4)
columns[0].metric("Accuracy, A", share(paired.accuracy_a), border=True)
columns[1].metric("Accuracy, B", share(paired.accuracy_b), border=True)
interval = (
    ""
    if paired.low is None
    else f"95 % interval {100 * paired.low:+.1f} to {100 * paired.high:+.1f}"
)
columns[2].metric(
    "B − A, points",
    "not defined" if paired.difference is None else f"{100 * paired.difference:+.1f}",
    help=interval or plain(paired.reason),
    border=True,
)
columns[3].metric("McNemar's p", number(paired.p, 3), border=True)
st.caption(
    f"{paired.n:,} cases are judged in both: {paired.still_right:,} right in both, "
    f"{paired.fixed:,} fixed, {paired.broken:,} broken, {paired.still_wrong:,} wrong in both. "
    f"{interval}"
)
for note in found.notes:
    st.info(plain(note))

counts = {"fixed": paired.fixed, "broken": paired.broken, "still_wrong": paired.still_wrong}
for tab, (name, heading) in zip(
    st.tabs([f"{heading} ({counts[name]:,})" for name, heading in CHANGES.items()]),
    CHANGES.items(),
    strict=True,
):
    with tab:
        if not counts[name]:
            st.write("None.")
            continue
        pages = -(-counts[name] // A_PAGE)
        page = st.pagination(pages, key=f"compare_{name}") if pages > 1 else 1

        def show(row: int) -> None:
            """Remember the case; the page is left once it is drawn."""
            st.session_state["compare_opened"] = b.index.case(row)

        cards = changed_cards(found, b, name, (page - 1) * A_PAGE, A_PAGE)
        gallery(cards, heading, f"compare_gallery_{name}", show)
if case := st.session_state.pop("compare_opened", None):
    st.switch_page(state.page("cases"), query_params={"run": second, "case": case})

st.header("Groups")
percent = st.column_config.NumberColumn(format="percent")
st.dataframe(
    group_table(found),
    hide_index=True,
    column_config=dict.fromkeys(["A", "B", "B − A", "from", "to"], percent)
    | {
        "judged in both": st.column_config.NumberColumn("n", help="Judged in both."),
        "p (Holm)": st.column_config.NumberColumn(format="%.3f"),
    },
)
for row in found.worst.to_dict("records"):
    st.caption(lowest(row))
if len(found.reliance):
    st.header("Reliance on cues")
    st.caption(
        "A cue's average effect over all cases, as a share of the run's median margin. B's has a "
        "minus where the effect goes the other way than in A."
    )
    st.dataframe(
        found.reliance.rename(columns=RELIANCE)[list(RELIANCE.values())],
        hide_index=True,
        column_config=dict.fromkeys(["A", "B", "B − A", "from", "to"], percent),
    )
st.header("Share of the map by region")
named = {"a": "A", "b": "B", "difference": "B − A", "low": "from", "high": "to"}
st.dataframe(
    found.shares.rename(columns=named),
    hide_index=True,
    column_config=dict.fromkeys(["chance", *named.values()], percent),
)
st.header("Cases by evidence")
st.dataframe(
    found.evidence.rename(columns={"a": "A", "b": "B", "only_a": "only A", "only_b": "only B"}),
    hide_index=True,
)
