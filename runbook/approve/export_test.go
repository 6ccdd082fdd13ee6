package approve

// StartWithin is what the tests of the whole look at.
const StartWithin = startWithin
