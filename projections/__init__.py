"""Read models: pure folds over facts."""
