;; Every interface of wasi:sockets: there is no network, but a component that could use one starts all the same, and is told so.
(component
  (import "wasi:sockets/network@0.2.0" (instance $network
    (export "network" (type (sub resource)))
    (type $codes (enum "unknown" "access-denied" "not-supported" "invalid-argument" "out-of-memory" "timeout" "concurrency-conflict"
      "not-in-progress" "would-block" "invalid-state" "new-socket-limit" "address-not-bindable" "address-in-use" "remote-unreachable"
      "connection-refused" "connection-reset" "connection-aborted" "datagram-too-large" "name-unresolvable"
      "temporary-resolver-failure" "permanent-resolver-failure"))
    (export "error-code" (type (eq $codes)))
    (type $families (enum "ipv4" "ipv6"))
    (export "ip-address-family" (type (eq $families)))))
  (alias export $network "network" (type $network-type))
  (alias export $network "error-code" (type $code-type))
  (alias export $network "ip-address-family" (type $family-type))
  (import "wasi:sockets/instance-network@0.2.0" (instance
    (alias outer 1 $network-type (type $outer))
    (export "network" (type $network (eq $outer)))
    (export "instance-network" (func (result (own $network))))))
  (import "wasi:sockets/tcp@0.2.0" (instance $tcp (export "tcp-socket" (type (sub resource)))))
  (import "wasi:sockets/udp@0.2.0" (instance $udp (export "udp-socket" (type (sub resource)))))
  (alias export $tcp "tcp-socket" (type $tcp-type))
  (alias export $udp "udp-socket" (type $udp-type))
  (import "wasi:sockets/tcp-create-socket@0.2.0" (instance $tcp-create
    (alias outer 1 $tcp-type (type $outer-socket))
    (alias outer 1 $code-type (type $outer-code))
    (alias outer 1 $family-type (type $outer-family))
    (export "tcp-socket" (type $socket (eq $outer-socket)))
    (export "error-code" (type $code (eq $outer-code)))
    (export "ip-address-family" (type $family (eq $outer-family)))
    (export "create-tcp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))
  (import "wasi:sockets/udp-create-socket@0.2.0" (instance
    (alias outer 1 $udp-type (type $outer-socket))
    (alias outer 1 $code-type (type $outer-code))
    (alias outer 1 $family-type (type $outer-family))
    (export "udp-socket" (type $socket (eq $outer-socket)))
    (export "error-code" (type $code (eq $outer-code)))
    (export "ip-address-family" (type $family (eq $outer-family)))
    (export "create-udp-socket" (func (param "address-family" $family) (result (result (own $socket) (error $code)))))))
  (import "wasi:sockets/ip-name-lookup@0.2.0" (instance (export "resolve-address-stream" (type (sub resource)))))
  (core module $program (func (export "run") (result i32) (i32.const 0)))
  (core instance $p (instantiate $program))
  (func $run (result (result)) (canon lift (core func $p "run")))
  (instance $command (export "run" (func $run)))
  (export "wasi:cli/run@0.2.0" (instance $command)))
