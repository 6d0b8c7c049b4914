"""Interactive charts: tables in, plotly figures out.

The only importer of plotly. A figure takes its text colour and its background from the page it
stands on, so that light and dark themes both apply.
"""
