"""What an export starts from: the chosen run, its patients, and where its data came from."""
