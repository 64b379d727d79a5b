//! Memory that is read after it was freed, as a program and as an addon: where `npm run sanitize` is not told of this,
//! it has not looked.

use std::ffi::c_void;
use std::hint::black_box;

fn main() {
    let place = black_box(Box::into_raw(Box::new(7_u8)));
    // SAFETY: none; the second line is the error to be found.
    unsafe {
        drop(Box::from_raw(place));
        black_box(*place);
    }
}

/// What Node.js calls when it loads an addon.
#[unsafe(no_mangle)]
pub extern "C" fn napi_register_module_v1(_environment: *mut c_void, exports: *mut c_void) -> *mut c_void {
    main();
    exports
}
