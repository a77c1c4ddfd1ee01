"""What is true only across ranks: their number, their devices, and what sharding does to a parameter."""
