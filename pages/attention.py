"""Where the maps lie: shares of regions, errors against correct cases."""

import streamlit as st

from auditor.dashboard import attention, state
from auditor.dashboard.words import plain
from auditor.errors import AuditorError
from auditor.figures.curves import level_curve, lift_curve
from auditor.figures.depth import depth_curve
from auditor.figures.intervals import mass_dots
from auditor.figures.spreads import spread_boxes

opened = state.opened()
state.address({})
run = opened.run
st.title("Attention")
st.caption(
    "Mass is the share of a map's positive evidence that lies in a region. A region that takes up "
    "a fifth of the image gets a fifth by chance: lift is mass ÷ area, and 1 is chance. A map says "
    "where to look; what the model relies on is shown by changing pixels (Overview, Cases)."
)
for reason in attention.void_reasons(run):
    st.warning(plain(reason), icon=":material/warning:")
try:
    left, right = st.columns([2, 1])
    by = left.segmented_control(
        "Broken down by", ["all", "label", *run.info["attributes"]], default="all", key="masses_by"
    )
    measure = right.segmented_control("Measure", ["lift", "mass"], default="lift", key="measure")
    masses = attention.mean_masses(run, None if by in (None, "all") else by)
    if masses.table.empty:
        st.info("No case has both regions and a map: there is nothing to compare.")
        st.stop()
    st.header("Errors against correct cases")
    st.plotly_chart(mass_dots(masses.table, measure or "lift"), key="masses")
    st.caption(plain(masses.method))
    for note in masses.notes:
        st.caption(plain(note))
    with st.expander("As a table"):
        st.dataframe(masses.table, hide_index=True)
    st.header("How cases spread")
    st.plotly_chart(spread_boxes(attention.distributions(run)), key="spreads")

    st.header("What other thresholds would flag")
    left, right = st.columns(2)
    with left:
        levels = attention.level_sensitivity(run)
        st.caption("Errors queued by their map, as the level of the test moves.")
        st.plotly_chart(level_curve(levels.table, levels.alpha), key="levels")
    with right:
        st.caption("Cases with a cue's lift above a limit: a rule that many tools use.")
        st.plotly_chart(lift_curve(attention.lift_sensitivity(run)), key="lifts")

    depth = attention.by_depth(run)
    if depth is not None:
        st.header("By depth")
        cues = list(run.info["regions"]["cues"])
        known = [*cues, *(name for name in depth["region"].unique() if name not in cues)]
        region = st.segmented_control("Region", known, default=known[0], key="depth_region")
        shown = depth[depth["region"] == (region or known[0])]
        st.plotly_chart(depth_curve(shown, measure or "lift"), key="depth")
        st.caption(
            "The same cases at every layer. Early layers answer to edges and colours, whatever "
            "the class: their maps are views, and no verdict rests on them."
        )
        with st.expander("As a table"):
            st.dataframe(shown, hide_index=True)
except AuditorError as error:
    st.error(plain(error))
    st.stop()
st.header("Where the maps come from")
st.dataframe(attention.map_source(run), hide_index=True)
