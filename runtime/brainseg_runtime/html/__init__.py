"""Self-contained HTML pages: markup, charts, and the page around them."""
