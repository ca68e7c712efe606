"""A made-up data set in the layout of `kaggle_3m`."""
