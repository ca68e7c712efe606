"""What goes into a bundle, and the bundle written whole or not at all.

    sbom         the bill of materials: what a host must install; tested by test_export
    sign         the signature; tested by test_seal
    seal         the folder, written, opened again, and put in its place
    notes        what whoever exports adds to the card
    model_card   the card, from its template `MODEL_CARD.md.jinja`
    contents     everything gathered from run, data and evidence; tested by test_export

What the card says stands in the template; `model_card` gives it figures.
"""
