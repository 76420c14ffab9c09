;; A million calls deep, in constant stack.
(module
  (memory (export "memory") 1)
  (func $down (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0))
      (then (i32.const 42))
      (else (return_call $down (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "_start")
    (if (i32.ne (call $down (i32.const 1000000)) (i32.const 42)) (then unreachable))))
