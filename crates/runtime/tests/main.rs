//! The worker's way of a batch on a real PostgreSQL, without the program around it.

mod traces; // ways through the model, walked by the load
