//! Where a page ended.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    api::parsing::cursor(text);
});
