//! The LVS director: what virtual services an operator wants, what the kernel has, and the difference between the two.
