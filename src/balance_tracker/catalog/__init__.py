"""What is tracked: reads and checks the data files, the shipped ones and the operator's."""
