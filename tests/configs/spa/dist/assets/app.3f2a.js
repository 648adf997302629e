console.log("the application, long enough to be packed");
