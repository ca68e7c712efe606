"""Patients scored: masks against masks, one patient at a time, and the page that shows the result."""
