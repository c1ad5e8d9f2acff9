"""The dashboard: ``streamlit run dashboard.py``, or ``tfactors dashboard``.

Streamlit reads this file twice: once as a module, to learn which server to start, and then as the
script that draws the pages, again and again.
"""

from pathlib import Path

if __name__ == "__main__":
    from tfactors.app.frame import shell

    shell.draw_dashboard()
else:
    from streamlit.starlette import App

    from tfactors.app.frame import head, server

    app = App(Path(__file__), middleware=head.middleware(), lifespan=server.lifespan)
