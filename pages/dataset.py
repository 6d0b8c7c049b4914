"""The dataset: what goes with what, what is annotated, what to collect."""

import streamlit as st

from auditor.dashboard import dataset, state
from auditor.dashboard.words import plain, share
from auditor.figures.bars import coverage_bars, share_bars
from auditor.figures.intervals import association_dots, probe_dots

opened = state.opened()
state.address({})
run = opened.run
st.title("Dataset")
st.caption("What the labels go together with, before any model is asked.")

st.header("Labels by attribute")
attributes = run.info["attributes"]
if not attributes:
    st.info(
        "This run has no attributes to break anything down by. Name columns of the dataset in "
        "dataset.attributes of the configuration, and audit again."
    )
for attribute in attributes:
    crossed = dataset.crossed(run, attribute)
    st.subheader(plain(attribute), anchor=False)
    st.plotly_chart(share_bars(crossed.table, attribute), key=f"crossed_{attribute}")
    for note in crossed.notes:
        st.caption(plain(note))
    with st.expander("As a table"):
        st.dataframe(
            crossed.table,
            hide_index=True,
            column_config={"share": st.column_config.NumberColumn(format="percent")},
        )

st.header("Associations")
found = dataset.associations(run)
if found.empty:
    st.write("None could be computed: there are no attributes.")
else:
    st.caption(
        "Cramér's V of label and attribute: 0 where they are independent, 1 where one gives the "
        "other away. A model can use whatever is associated."
    )
    st.plotly_chart(association_dots(found), key="associations")
    for row in found[found["value"].isna()].to_dict("records"):
        st.caption(plain(row["text"]))
probes = dataset.probes(run)
if len(probes):
    st.subheader("Telling the label from a cue alone", anchor=False)
    st.caption(
        "Accuracy of a simple classifier that sees nothing but simple measures of one region. Far "
        "above chance, the region gives the label away."
    )
    st.plotly_chart(probe_dots(probes), key="probes")

st.header("What is annotated")
st.plotly_chart(coverage_bars(dataset.coverage(run)), key="coverage")

st.header("What to collect")
collections = dataset.collections(run)
if not collections:
    st.write("Nothing: no attribute is associated with the label beyond the threshold.")
for collection in collections:
    with st.container(border=True):
        st.markdown(plain(collection.text))
        st.dataframe(collection.table, hide_index=True)
st.caption(f"Judged: {share(run.info['counts']['judged'] / run.info['counts']['cases'])} of cases.")
