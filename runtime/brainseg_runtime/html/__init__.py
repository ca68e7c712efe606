"""Self-contained HTML pages from Jinja2 templates.

    page.py      renders a template; numbers, intervals and pictures for readers
    base.html    the document around every page; style.css is put into its head
    parts.html   tables, facts, notes, badges, legends, pictures: what pages import
    charts.py    lines, points and columns over two axes; axes.py their ticks and ranges; chart.html their drawing

A page is a template beside the module that fills it in (`evaluation/page.html`, `installation/page.html`). Jinja2 comes
with the extra `cli` and is imported when the first page is made. axes.py is tested by test_charts.py.
"""
