(module
  (memory (export "memory") i64 1)
  (func (export "_start")
    (i64.store (i64.const 65528) (i64.const 0x0123456789abcdef))
    (if (i64.ne (i64.load (i64.const 65528)) (i64.const 0x0123456789abcdef)) (then unreachable))
    (if (i64.ne (memory.grow (i64.const 1)) (i64.const 1)) (then unreachable))))
