"""Networks compared: scores on the test subset, the leaderboard, and the page."""
