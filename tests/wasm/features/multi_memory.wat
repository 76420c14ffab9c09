(module
  (memory $a (export "memory") 1)
  (memory $b 1)
  (func (export "_start")
    (i32.store $a (i32.const 0) (i32.const 1))
    (i32.store $b (i32.const 0) (i32.const 2))
    (if (i32.ne (i32.load $a (i32.const 0)) (i32.const 1)) (then unreachable))
    (if (i32.ne (i32.load $b (i32.const 0)) (i32.const 2)) (then unreachable))))
