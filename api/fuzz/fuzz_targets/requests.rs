//! Headers, queries and bodies of requests, and the messages about them.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    for check in api::parsing::ALL {
        check(text);
    }
});
