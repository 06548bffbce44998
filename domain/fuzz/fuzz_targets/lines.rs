//! Lines of the log: what is accepted is the bytes that would be written for it.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    domain::parsing::line(text);
});
