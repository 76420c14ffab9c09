;; Corners of arithmetic: wrapping, saturation, not-a-numbers, shifts by more than the width.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (i32.add (i32.const 0x7fffffff) (i32.const 1)) (i32.const 0x80000000)) (then unreachable))
    (if (i32.ne (i32.shl (i32.const 1) (i32.const 33)) (i32.const 2)) (then unreachable))
    (if (i32.ne (i32.rem_s (i32.const 0x80000000) (i32.const -1)) (i32.const 0)) (then unreachable))
    (if (i32.ne (i32.trunc_sat_f64_s (f64.const 1e300)) (i32.const 0x7fffffff)) (then unreachable))
    (if (i32.trunc_sat_f32_u (f32.const nan)) (then unreachable))
    (if (f64.eq (f64.const nan) (f64.const nan)) (then unreachable))
    (if (i64.ne (i64.reinterpret_f64 (f64.min (f64.const 0) (f64.const -0))) (i64.const 0x8000000000000000)) (then unreachable))
    (if (i64.ne (i64.popcnt (i64.const -1)) (i64.const 64)) (then unreachable))))
