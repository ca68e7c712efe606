"""What the node tells about itself, and to whom.

`log` writes JSON lines of a closed set of events and fields, and `libraries` keeps other libraries' text out of them.

    app              the HTTP application, of `health_routes` and `study_routes`
    answers          the JSON that it answers; `documented` describes it in the OpenAPI document
    metrics          what Prometheus scrapes
    page             what a browser shows
    guard            what stands before the application: caps, headers, and `access`, who may ask
    server           uvicorn in a thread, with deadlines and TLS

A new answer is a dataclass in `answers` and a route beside those that it belongs to. `health_routes`, `study_routes`,
`answers`, `documented` and `page` are tested by `test_app`.
"""
