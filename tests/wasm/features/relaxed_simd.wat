(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (f32.ne (f32x4.extract_lane 0 (f32x4.relaxed_madd (v128.const f32x4 2 2 2 2) (v128.const f32x4 3 3 3 3) (v128.const f32x4 1 1 1 1)))
                (f32.const 7))
      (then unreachable))))
