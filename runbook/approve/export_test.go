package approve

// What the tests of the whole look at.
var Past = past

const StartWithin = startWithin
