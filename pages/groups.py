"""Accuracy of every group, none missing."""

import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.filters import Filter
from auditor.dashboard.groups import grouped_accuracy
from auditor.dashboard.words import plain
from auditor.errors import AuditorError
from auditor.figures.intervals import forest

opened = state.opened()
run = opened.run
attributes = list(run.info["attributes"])
st.title("Groups")
if not attributes:
    st.info(
        "Without attributes only labels can be told apart. Name columns of the dataset in "
        "dataset.attributes of the configuration, and audit again."
    )
asked = [name for name in st.query_params.get("by", "").split(",") if name in attributes]
by_label = st.query_params.get("label", "1") != "0"
chosen = asked or attributes[:1]
state.address({"by": ",".join(chosen), **({} if by_label else {"label": "0"})})


def change() -> None:
    """Say the choice in the address."""
    st.query_params["by"] = ",".join(st.session_state["groups_by"])
    if st.session_state["groups_label"]:
        st.query_params.pop("label", None)
    else:
        st.query_params["label"] = "0"


st.session_state["groups_by"] = chosen
st.session_state["groups_label"] = by_label
left, right = st.columns([3, 1], vertical_alignment="bottom")
if attributes:
    left.multiselect(
        "By", attributes, key="groups_by", on_change=change, max_selections=2,
        help="Two attributes give their intersections.",
    )  # fmt: skip
    right.toggle("Within each label", key="groups_label", on_change=change)
try:
    found = grouped_accuracy(run, chosen, by_label or not chosen)
except AuditorError as error:
    st.error(plain(error))
    st.stop()
st.plotly_chart(forest(found.table, found.accuracy), key="forest")
st.caption(plain(found.method))
for note in found.notes:
    st.caption(plain(note))
st.header("Table")
percent = st.column_config.NumberColumn(format="percent")
# Which label and which values a group has, its name says; a reason is there for few.
parts = [name for name in found.table if name == "label" or name.startswith("attribute.")]
parts += [] if found.table["reason"].notna().any() else ["reason"]
event = st.dataframe(
    found.table,
    hide_index=True,
    column_order=[name for name in found.table if name not in parts],
    column_config=dict.fromkeys(["accuracy", "low", "high"], percent),
    on_select="rerun",
    selection_mode="single-row",
    key="group_table",
)
picked = event["selection"]["rows"]
if picked:
    row = found.table.iloc[picked[0]]
    pairs = [(name, row.get(f"attribute.{name}")) for name in chosen]
    group = tuple((name, str(value)) for name, value in pairs if isinstance(value, str))
    label = row.get("label") if isinstance(row.get("label"), str) else ""
    with st.container(horizontal=True):
        state.case_link("Its cases", Filter(label=label or "", group=group))
        state.case_link("Its errors", Filter(label=label or "", group=group, outcome="error"))
else:
    st.caption("Choose a row to see its cases.")
