;; Fixed-width SIMD: four sums at once.
(module
  (memory (export "memory") 1)
  (func (export "_start")
    (if (i32.ne (i32x4.extract_lane 3 (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 10 20 30 40))) (i32.const 44))
      (then unreachable))))
