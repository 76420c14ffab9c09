;; A component of three instances, with two tables and two memories.
(component
  (core module $part (table 1 funcref) (memory 1))
  (core module $main (func (export "run") (result i32) (i32.const 0)))
  (core instance (instantiate $part))
  (core instance (instantiate $part))
  (core instance $i (instantiate $main))
  (func $run (result (result)) (canon lift (core func $i "run")))
  (instance $shown (export "run" (func $run)))
  (export "wasi:cli/run@0.2.6" (instance $shown)))
