"""What is known, as plain data: of a compiled Function, its times, a profile, and the hardware."""
