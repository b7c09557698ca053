"""A study: losses x folds x seeds on one data set; a single training; and what a data set holds."""
