//! Secrets, their prefixes, and texts that they were pasted into.

#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| {
    domain::parsing::secret(text);
    domain::parsing::masking(text);
});
