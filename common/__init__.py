"""What master and worker must agree on; knows neither of them."""
