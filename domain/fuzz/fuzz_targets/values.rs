//! Names, permissions, scopes, networks, times, durations, actors, metadata and free text.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    for check in domain::parsing::ALL {
        check(text);
    }
});
