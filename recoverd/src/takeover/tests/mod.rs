//! Tests of the takeover run.
