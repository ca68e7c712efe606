"""A study carried out, and its networks compared.

    conduct.py      train and tune every network, choose runs, measure them once on the test subset, record
    test_scores.py  that measurement: scores and pictures of each network
    leaderboard.py  the networks ranked, in leaderboard.json and .md
    significance.py whether their order is more than noise
    page.py         report.html (page.html): charts.py its charts, subsets.py its tables of the data

Lines of the leaderboard and of the page come from the table in `brainseg_runtime.metrics.scores`. charts.py and
subsets.py are tested by test_page.py, significance.py by test_leaderboard.py.
"""
