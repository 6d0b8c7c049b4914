"""What the dashboard shows, and its server.

Pages hold layout only. What they show comes from the modules here that know nothing of
streamlit; `server`, `state` and `components` are the ones that do. Nothing here reaches torch.
"""
