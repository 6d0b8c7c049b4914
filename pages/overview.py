"""The verdict, the findings and what they rest on."""

import streamlit as st

from auditor.dashboard import state
from auditor.dashboard.agreeing import review_summary
from auditor.dashboard.filters import Filter
from auditor.dashboard.overview import LEVELS, overview
from auditor.dashboard.words import many, plain, share

opened = state.opened()
state.address({})
seen = overview(opened.run)

st.caption(f"Audit of {plain(opened.run.path.name)}")
st.title(plain(LEVELS[seen.level]))
with st.container(border=True):
    st.badge(
        f"level {seen.level} of 4", color=("gray", "green", "orange", "red", "red")[seen.level]
    )
    st.markdown(plain(seen.verdict))

columns = st.columns(4)
columns[0].metric(
    "Accuracy",
    share(seen.accuracy),
    help="Over the cases that have a prediction.",
    border=True,
    height="stretch",
)
columns[1].metric("Errors", f"{seen.errors:,} of {seen.judged:,}", border=True, height="stretch")
columns[2].metric(
    "Flagged",
    f"{seen.flagged['confirmed'] + seen.flagged['probable']:,}",
    help=(
        f"{seen.flagged['confirmed']:,} confirmed and {seen.flagged['probable']:,} probable by "
        f"changing the pixels of {many(seen.tested, 'case')}; errors and correct cases."
    ),
    border=True,
    height="stretch",
)
columns[3].metric(
    "Queued by map alone",
    f"{seen.flagged['attention']:,}",
    help="Errors whose map lies on a cue more than chance explains; suspicion, not proof.",
    border=True,
    height="stretch",
)
links = st.container(horizontal=True)
with links:
    state.case_link("Review flagged errors", Filter(flag="spurious_error"), ":material/flag:")
    state.case_link("Right for the wrong reason", Filter(flag="wrong_reason"), ":material/help:")
    state.case_link("All errors", Filter(outcome="error"), ":material/close:")

left, right = st.columns(2, gap="large")
with left:
    st.header("Worst group")
    for statement in seen.worst:
        st.markdown(plain(statement.text))
        if statement.linked:
            state.case_link("Its cases", Filter(finding=statement.number), ":material/groups:")
    if not seen.worst:
        st.write("No group has enough cases to say.")
with right:
    st.header("Skew of the dataset")
    for statement in seen.skew:
        st.markdown(plain(statement.text))
    if not seen.skew:
        st.write("Without attributes nothing can be said of it.")

NAMES = {"warning": "Warnings", "notice": "Notices", "info": "For information"}
ICONS = {"warning": ":material/warning:", "notice": ":material/info:", "info": ":material/notes:"}
st.header("Findings")
for severity, name in NAMES.items():
    found = [statement for statement in seen.statements if statement.severity == severity]
    if not found:
        continue
    with st.expander(f"{name} ({len(found)})", expanded=severity != "info", icon=ICONS[severity]):
        for place, statement in enumerate(found):
            if place:
                st.divider()
            left, right = st.columns([6, 1], vertical_alignment="center")
            left.markdown(plain(statement.text))
            if statement.linked:
                with right:
                    state.case_link("Cases", Filter(finding=statement.number))
            if statement.table:
                st.dataframe(
                    list(statement.table),
                    hide_index=True,
                    column_order=[
                        name
                        for name in statement.table[0]
                        if any(row.get(name) is not None for row in statement.table)
                    ],
                    column_config={
                        name: st.column_config.Column(name.replace("_", " "))
                        for name in statement.table[0]
                    },
                )

told = review_summary(opened.reviewing)
if told:
    st.header("Human review")
    for sentence in told:
        st.markdown(plain(sentence))

left, right = st.columns([2, 1], gap="large")
with left:
    st.header("Checks of model and maps")
    for gate in seen.gates:
        icon = "✓" if gate.severity == "info" else "✗"
        st.markdown(f"{icon} {plain(gate.text)}")
    if not seen.gates:
        st.write("This run recorded none.")
with right:
    st.header("Not judged")
    if seen.unjudged:
        st.write("Cases that lack something are counted here and left out of what needs it:")
        for name, count in seen.unjudged.items():
            st.markdown(f"- {plain(name)}: {count:,} of {seen.cases:,}")
    else:
        st.write(f"All {many(seen.cases, 'case')} were judged.")
