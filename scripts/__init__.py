"""What is run by hand or by make: pre-training, results, the demo."""
