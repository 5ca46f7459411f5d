"""What databases differ in. A broker has one as `broker.dialect`, as Django's connections have their `ops`."""
