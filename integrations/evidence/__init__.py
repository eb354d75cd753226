"""What is claimed, put to the test: placebos, outcomes, backtests' results, the fit of the leverage mix."""
