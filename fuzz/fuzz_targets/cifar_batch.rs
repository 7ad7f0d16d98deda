#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wgrad_fuzz::targets::cifar_batch::run(data));
